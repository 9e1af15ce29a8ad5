"""`python -m tidemill`."""

from tidemill.commands import main

if __name__ == "__main__":
    main()
