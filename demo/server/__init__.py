"""What the page asks of the server: routes, requests, answers, uploads, downloads and pictures."""
