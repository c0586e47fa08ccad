"""The version and the project's address, from settings.ini; everything else stands in
pyproject.toml.
"""

from configparser import ConfigParser
from pathlib import Path

from setuptools import setup

settings = ConfigParser(delimiters=["="])
settings.read(Path(__file__).parent / "settings.ini", encoding="utf-8")
setup(version=settings["DEFAULT"]["version"], url=settings["DEFAULT"]["git_url"])
