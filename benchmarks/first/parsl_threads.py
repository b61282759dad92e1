import parsl
from parsl import python_app
from parsl.config import Config
from parsl.executors import ThreadPoolExecutor


@python_app
def f(i):
    return i


with parsl.load(Config(executors=[ThreadPoolExecutor(max_threads=2)])):
    print("result", f(1).result(), flush=True)
