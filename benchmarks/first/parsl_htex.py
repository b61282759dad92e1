import parsl
from parsl import python_app
from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.providers import LocalProvider


@python_app
def f(i):
    return i


provider = LocalProvider(init_blocks=1, max_blocks=1)
executor = HighThroughputExecutor(address="127.0.0.1", max_workers_per_node=2, provider=provider)
with parsl.load(Config(executors=[executor])):
    print("result", f(1).result(), flush=True)
