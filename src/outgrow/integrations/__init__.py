"""What frameworks and libraries need to know of Outgrow, in their own words; one folder each."""
