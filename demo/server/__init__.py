"""The server of the page: routes, the stream of answers, downloads, and what protects them."""
