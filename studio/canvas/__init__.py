"""The prompt canvas: the labelling stage in the browser, its gr.HTML component, and its server's side."""
