"""What helps to choose and to understand: facts of data, recommendations, diagnoses, identification, trials."""
