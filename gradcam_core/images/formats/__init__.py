"""One file for each family of picture formats, each with
`decode(file: IO[bytes], window: Window | None) -> Decoded`, which raises ImageError."""
