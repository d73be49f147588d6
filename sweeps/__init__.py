"""Many runs: a spec becomes configs, jobs and a status."""
