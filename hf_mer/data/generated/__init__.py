"""Corpora with a known right answer, written in the layouts of IEMOCAP and MELD."""
