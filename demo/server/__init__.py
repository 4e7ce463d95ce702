"""The page's endpoints: routes, requests, answers, uploads, downloads and remote pictures."""
