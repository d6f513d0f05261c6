"""Preview, explain, doctor, migrate, scenario tests: nothing of it is built yet."""
