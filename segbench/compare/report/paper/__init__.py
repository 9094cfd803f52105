"""The texts that a publication needs beside its table: methods, checklists, reproduction, and a manifest."""
