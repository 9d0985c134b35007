"""Run folders as those who look at them see them: options, log, samples and state, without PyTorch."""
