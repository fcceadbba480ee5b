"""What a rule's author needs: pure functions that the command line shows the results of."""
