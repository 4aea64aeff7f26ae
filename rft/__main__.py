"""python -m rft"""

from rft.main import main

main()
