"""HTTP/1.1 on asyncio: one Protocol over httptools, and the server that runs it."""
