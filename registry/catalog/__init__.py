"""catalog.yaml: read it, add to it, bind its lines to their makers, and compare it with what is built."""
