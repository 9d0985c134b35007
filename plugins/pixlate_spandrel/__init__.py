"""Opens the many community upscalers that spandrel knows (extra ``[spandrel]``)."""
