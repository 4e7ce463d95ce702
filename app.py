"""Starts the page: `python app.py`. Hugging Face Spaces runs this file."""

from demo.main import main

if __name__ == "__main__":
    main()
