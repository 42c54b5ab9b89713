"""Single accounts: who holds an account's repository, and that it is whole, signed and its own.

What belongs here:

- `identity`: the DID document, which names the account's PDS and its key;
- `repository`: the bytes of a repository, held against CIDs, tree and signature;
- `holding`: asking for the repositories of many accounts;
- `panel`: the posts of a list of accounts, day by day;
- `holes`: when what did not come of an account was written;
- `healing`: what an account's repository, or an archive, has of what did not come of it.

What does not: commits as the stream brings them. DIDs come in, rows of the contracts go out.

Source: atproto.com/specs/repository, cryptography and did; lexicon com.atproto.sync.getRepo.
"""
