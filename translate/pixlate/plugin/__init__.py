"""What a plugin's author meets: the hooks, one file a contract, the manager that isolates plugins, and checks for their tests. No PyTorch but for gan."""
