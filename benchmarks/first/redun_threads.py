from redun import Scheduler, task

redun_namespace = "first"


@task()
def f(i):
    return i


print("result", Scheduler().run(f(1)), flush=True)
