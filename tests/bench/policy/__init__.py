"""A bench for polling rules: simulated cars, lives and months, and what each rule sees, costs and disturbs."""
