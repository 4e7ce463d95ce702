"""What pyproject.toml cannot say: the example pictures lie beside the page and go into it."""

from setuptools import find_packages, setup

PICTURES = "demo.example_pictures"

setup(
    packages=[*find_packages(include=["gradcam_core*", "demo*"]), PICTURES],
    package_dir={PICTURES: "assets/examples"},
    package_data={
        "": ["*.css", "*.html", "*.js", "*.json", "*.txt"],
        "demo": ["web/**"],
        "gradcam_core": ["web/*", "batch/report/web/*"],
        PICTURES: ["*.csv", "*.jpg", "*.toml"],
    },
)
