from loky import ProcessPoolExecutor


def f(i):
    return i


with ProcessPoolExecutor(2) as pool:
    print("result", pool.submit(f, 1).result(), flush=True)
