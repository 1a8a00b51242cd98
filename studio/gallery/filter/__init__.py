"""The Filter page as a component: searching, sorting and cleaning up a collection by what its images show."""
