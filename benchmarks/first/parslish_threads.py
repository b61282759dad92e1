import parslish
from parslish import python_app


@python_app
def f(i):
    return i


with parslish.load():
    print("result", f(1).result(), flush=True)
