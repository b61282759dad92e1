"""Parsl's example of checkpoints; its fourth call may take so long that the machine fails meanwhile."""

import os
import sys

from parslish import App, DataFlowKernel, ThreadPoolExecutor

dfk = DataFlowKernel(config=None, executors=[ThreadPoolExecutor(max_threads=1)], checkpointMode=sys.argv[1])


@App("python", dfk, cache=True)
def slow_double(x, sleep_dur=0.01):
    import time

    with open("executed", "a") as file:
        file.write(f"{x}\n")
    time.sleep(60 if x == 3 and os.path.exists("slow") else sleep_dur)
    return x * 2


N = 5  # Number of calls to slow_double
d = []  # List to store the futures
for i in range(N):
    d.append(slow_double(i))

# Wait for the results
print([i.result() for i in d])
