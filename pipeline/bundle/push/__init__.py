"""An exported bundle to the Hugging Face Hub: ``files`` and ``plan`` choose what goes, ``hub`` uploads it."""
