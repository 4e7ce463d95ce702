"""What a person's files of weights and labels hold, however they were saved."""
