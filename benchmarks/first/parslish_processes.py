import parslish
from parslish import Config, ProcessPoolExecutor, python_app


@python_app
def f(i):
    return i


with parslish.load(Config(executors=[ProcessPoolExecutor(max_workers=2)])):
    print("result", f(1).result(), flush=True)
