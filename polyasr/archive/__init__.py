"""What was dictated and uploaded, kept on the disk: see docs/archive.md.

``archive`` is what the server uses, on its event loop; ``writer`` the threads that write;
``sessions`` and ``uploads`` the two kinds of records; ``store`` the directory they share, with its
names, what a crash has left there and how long things stay; ``reading`` reads a session again.
"""

from polyasr.archive.archive import Archive, open_archive
from polyasr.archive.uploads import Upload, UploadRecord

__all__ = ["Archive", "Upload", "UploadRecord", "open_archive"]
