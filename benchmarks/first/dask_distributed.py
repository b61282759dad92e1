from dask.distributed import Client, LocalCluster


def f(i):
    return i


if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        print("result", client.submit(f, 1).result(), flush=True)
