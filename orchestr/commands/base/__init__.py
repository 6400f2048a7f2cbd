"""What every verb is built from: options, help, the two kinds of verb."""
