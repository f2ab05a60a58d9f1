"""What an account is and may do: rules over a transaction and its moment, without HTTP."""
