"""Second stage: self-supervised training of speech encoders on the training part of a fold."""
