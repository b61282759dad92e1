from concurrent.futures import ProcessPoolExecutor


def f(i):
    return i


if __name__ == "__main__":
    with ProcessPoolExecutor(2) as pool:
        print("result", pool.submit(f, 1).result(), flush=True)
