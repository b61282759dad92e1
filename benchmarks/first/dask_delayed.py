import dask


@dask.delayed
def f(i):
    return i


print("result", f(1).compute(), flush=True)
