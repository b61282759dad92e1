from concurrent.futures import ThreadPoolExecutor


def f(i):
    return i


with ThreadPoolExecutor(2) as pool:
    print("result", pool.submit(f, 1).result(), flush=True)
