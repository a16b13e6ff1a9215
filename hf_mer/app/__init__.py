"""The page: a checkpoint in the browser, by `hf-mer app` or as a Space.

What it computes (`model`, `media`, `prediction`, `dialogue`, `recording`, `examples`) and what it shows (`html`,
`waveform`, `timeline`) know nothing of Gradio; `page` and the tabs lay it out, `server` serves it.
"""
