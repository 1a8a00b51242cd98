"""The page's view of a collection: gallery, drop zone and class list. Importing this loads no gradio."""
