"""The tabs of the page: each file has TITLE, ORDER and build(studio, shared), and imports no other tab."""
