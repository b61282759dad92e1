import ray


@ray.remote
def f(i):
    return i


ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
print("result", ray.get(f.remote(1)), flush=True)
ray.shutdown()
