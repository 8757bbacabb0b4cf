"""The embedded world: things, scenes, styles, and models pre-trained on them.

Small enough to ship and to run on two cores, exact where real data never is: the same
call that renders an image gives its kinds, parts, saliency, normals, depth and edges.
Every record from it says `data: pocket`; no figure from it is a figure about real data.
"""
