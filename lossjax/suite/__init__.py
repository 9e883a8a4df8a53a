"""The programs: configs, data, sweeps, stored results, statistics, reports."""
