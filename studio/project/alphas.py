"""The files of alphas and their trimaps: kept with the change that names them, and served to nobody else's image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import Connection, Row, delete, insert, select

from studio.annotations import Alpha, Annotation
from studio.errors import BadInput, NotFound
from studio.project.database import Database
from studio.project.files import ORIGINAL, Files, sha256
from studio.project.images import find_image
from studio.project.schema import alpha_files, doomed


class AlphaStore:
    """The part of the store that knows the files of alphas."""

    _db: Database
    _files: Files

    def alpha_path(self, image_id: str, digest: str) -> Path:
        """Return where an alpha or a trimap of an image lies. Raises NotFound where the image has none of that digest.

        Those that only history still knows are among them, so that undo brings back what can be seen.
        """
        with self._db.read() as c:
            image = find_image(c, image_id)
            here = (alpha_files.c.image == image.seq, alpha_files.c.digest == str(digest)[:64])
            known = c.execute(select(alpha_files.c.digest).where(*here)).scalar()
        path = None if known is None else self._files.path(known)
        if path is None or not path.exists():
            raise NotFound("The alpha's file is not here any more. Make the matte again.")
        return path

    def beside_alpha(self, image_id: str, digest: str, kind: str, data: bytes | None = None) -> Path | None:
        """Return where something made of an alpha is kept beside it, after writing ``data`` if given; None if nowhere.

        It goes when the alpha goes. ``kind`` is an ending such as ".cutout".
        """
        self.alpha_path(image_id, digest)
        if data is not None:
            self._files.write(digest, {kind: data})
        path = self._files.path(digest, kind)
        return path if path.exists() else None


def prepared(database: Database, files: Files, given: Mapping[str, bytes]) -> None:
    """Write files before the change that names them, so that others need not wait for the disk.

    Until that change is written they count as to be removed: a process that dies in between leaves nothing behind.
    Raises BadInput where a digest is not that of its bytes.
    """
    if not given:
        return
    for digest, data in given.items():
        if sha256(data) != digest:
            raise BadInput("The file of an alpha does not have the digest that it is named by.")
    with database.write() as c:
        database.hold_files(c)
        doom(c, list(given))
    for digest, data in given.items():
        files.write(digest, {ORIGINAL: data})


def settle(
    connection: Connection,
    database: Database,
    files: Files,
    image: Row,
    annotations: Sequence[Annotation],
    given: Mapping[str, bytes],
) -> None:
    """Tie the files of alphas to their image, within the transaction that writes these.

    Raises BadInput where an alpha names a file that is neither given nor this image's: it may be somebody else's.
    """
    named = {digest for a in annotations if isinstance(a.shape, Alpha) for digest in a.shape.digests}
    if not named:
        return
    here = (alpha_files.c.image == image.seq, alpha_files.c.digest.in_(named))
    known = set(connection.execute(select(alpha_files.c.digest).where(*here)).scalars())
    new = named - known
    if new - set(given):
        raise BadInput("The alpha's file is not this image's. Make the matte again on this image.")
    if not new:
        return
    database.hold_files(connection)
    for digest in sorted(new):  # somebody may have removed the same bytes elsewhere since they were written
        files.write(digest, {ORIGINAL: given[digest]})
    connection.execute(
        insert(alpha_files), [{"image": image.seq, "digest": digest} for digest in sorted(new)]
    )
    connection.execute(delete(doomed).where(doomed.c.digest.in_(new)))


def digests_of(connection: Connection, images: Sequence[int]) -> list[str]:
    """Return the digests of all files that alphas of some images use."""
    wanted = select(alpha_files.c.digest).where(alpha_files.c.image.in_(images)).distinct()
    return list(connection.execute(wanted).scalars())


def doom(connection: Connection, digests: Sequence[str]) -> None:
    """Write down files that are to be removed unless something uses them then."""
    there = set(connection.execute(select(doomed.c.digest).where(doomed.c.digest.in_(digests))).scalars())
    new = [{"digest": digest} for digest in dict.fromkeys(digests) if digest not in there]
    if new:
        connection.execute(insert(doomed), new)
