"""Plugin for rqt. Only the modules that draw need Qt; none is needed to run the arm."""
