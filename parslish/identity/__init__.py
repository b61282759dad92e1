"""Owns what makes two calls the same call: the code that runs (`code`), its arguments (`value`), both (`key`)."""
