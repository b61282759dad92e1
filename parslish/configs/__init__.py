"""Ready site configurations, one file a site: `from parslish.configs.local import localThreads as config`.

Copy the one nearest to your machine and change it; each says for which machine it is. They hold plain data:
nothing starts before `parslish.load(config)`.
"""
