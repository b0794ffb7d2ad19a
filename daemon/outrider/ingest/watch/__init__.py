"""Cars that fall silent at speed: the judge, his picture of coverage, and what is told of them."""
